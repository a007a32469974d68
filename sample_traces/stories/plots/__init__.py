"""What the users of each story ask, when, and what the model answers: the part that a stand-in has to know."""
