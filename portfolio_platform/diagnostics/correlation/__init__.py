"""D3 Correlation stacking: how many independent bets the held symbols really are, and which of them move together."""
