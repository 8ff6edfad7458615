"""What other limits would have made of the intents and fills of the past. First-order: the market does not answer, and it says so."""
