"""The Model Context Protocol server: the commands as tools, for agents that submit and follow work themselves.

`tools` says which commands are tools; their schemas come from the rows of `options.table`. `arguments` reads what a
client gives as a command takes it, `limits` refuses what the person who configured the server did not allow, `calls`
carries out a call, each with a context of its own, and `server` speaks the protocol, with the official SDK.

Only `server` and what it imports by name load the SDK, which takes two seconds.
"""
