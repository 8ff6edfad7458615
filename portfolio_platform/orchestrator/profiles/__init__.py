"""The two policy profiles that ship: one TOML file each."""
