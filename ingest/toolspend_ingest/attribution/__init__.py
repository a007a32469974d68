"""Whose tokens were billed: model requests, their evidence and prices in; the bill by owner out.

    contexts    evidence -> the segments of each prompt, with an identity that lasts for as long as they are re-sent
    shares      the billed prompt -> an estimate of the tokens of each segment
    rates       where a segment lies -> at which rate it was billed
    output      the billed output -> thinking, text and tool calls
    costs       tokens and prices -> nano-dollars that sum exactly
    ledger      all of it -> rows by owner, and what each call cost
    run         the only module that knows the database

Everything but `run` is pure: the same rows give the same ledger, whatever order they arrived in.
"""
