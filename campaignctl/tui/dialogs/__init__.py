"""What opens above a screen and gives an answer back: help, text, questions, the chooser of campaigns."""
