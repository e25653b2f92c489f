"""Measuring data quality: the form of rules, the checks, checks over time, drafts, personal data."""
