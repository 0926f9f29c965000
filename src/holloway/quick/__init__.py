"""quick"""
