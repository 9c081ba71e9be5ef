"""Secure aggregation: a server learns the sum of its clients' inputs and nothing else about them.

The protocol is SecAgg+ (Bell et al. 2020, ePrint 2020/704) against an honest-but-curious server: pure functions and values, one file
for each idea. `SecAggPlus` and `secaggplus_mod` carry its messages.
"""
