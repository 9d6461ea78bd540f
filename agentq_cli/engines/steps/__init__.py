"""What the queue does, as steps of a transaction: the logic that every engine shares. Here is no SQL, no file, and no
engine: a step knows the statements that it asks by their names (`transaction`)."""
