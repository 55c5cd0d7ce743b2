"""Serving: one canonical request, two dialects (Gemini and OpenAI), files, keys, limits, and a worker for media."""
