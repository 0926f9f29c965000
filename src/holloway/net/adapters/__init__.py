"""Lets HTTP libraries connect through a network: `httpx` and `httpcore`, `aiohttp`, `requests`.

Each module imports its library, so import only the one that you use. The extras of the package
(`holloway[httpx]` and so on) install the libraries. Most other libraries need no adapter: they take
a connected socket.
"""
