"""Checks of a node from within: is everything that several nodes need the same, reachable and able to do its work?"""
