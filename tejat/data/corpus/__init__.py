"""Corpora from what package registries hold: manifests, parsers, the build and its ledger."""
