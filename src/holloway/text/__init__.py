"""Pure codecs between text and the model: the UAPI, configuration files, what `wg show` prints."""
