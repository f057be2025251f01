"""Language models behind OpenAI-compatible endpoints: a client, its recording, a policy and a reflector."""
