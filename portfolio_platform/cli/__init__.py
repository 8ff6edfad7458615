"""The `portfolio` command. A command parses, calls one pipeline, and shows what came back."""
