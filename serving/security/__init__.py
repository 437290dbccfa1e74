"""Who may ask, what, and how much: TLS, API keys, tokens, scopes, quotas. `guard.Guard` stands before every method."""
