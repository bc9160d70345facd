"""The product's independent oracle: a brute-force model of the event rules and of streamed insights.

Nothing here imports the product, so that the two can only agree by both being right.
"""
