"""The types of the extension `holloway._native`, a stub for each subject.

Programs import `holloway._native`. These modules let the type checker compare each stub with the
extension.
"""
