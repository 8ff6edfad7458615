"""The playbooks that ship, as TOML files."""
