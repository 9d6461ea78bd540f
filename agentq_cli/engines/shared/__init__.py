"""The verbs whose code is the same in every engine, over what an engine gives (`given`)."""
