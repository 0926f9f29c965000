"""The types of the extension `holloway._native`, with one stub for each subject.

Programs import `holloway._native`. These modules exist so that the type checker can compare each
stub with the extension.
"""
