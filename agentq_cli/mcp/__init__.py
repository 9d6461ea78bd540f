"""The Model Context Protocol server: the commands as tools, for agents that submit and follow work themselves.

`tools` says which commands are tools; their schemas come from the rows of `options.table`. `arguments` reads what a
client gives as a command takes it, `limits` refuses what the person who configured the server did not allow, `origin`
says what a new task has of the one that asks for it, `calls` carries out a call, each with a context of its own,
`pages` reads what is long, `texts` says a document in short, `wait` and `waiting` wait for tasks. `server`, `wire` and
`resources` speak the protocol, with the official SDK; `registration` tells an agent CLI of the server.

Only `server` and `resources` load the SDK, which takes two seconds.
"""
