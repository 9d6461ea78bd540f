"""One module a row of the table: ABOUT says what is compared, measure() does it."""
