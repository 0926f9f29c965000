"""wg-quick: brings an interface up from one file, and takes it down without a trace.

`plan` turns a configuration and facts about the host into steps (pure), `steps` print, apply and
undo, and `up`, `down` and `save` drive them. Nothing here knows the command line.
"""
