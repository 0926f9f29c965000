"""wg-quick: brings an interface up from one file, and takes it down without a trace.

`plan` turns a configuration and facts about the host into steps (pure); `run` prints, applies and
undoes them; `up`, `down`, `reload` and `save` are the commands. The command line is `cli`'s.
"""
