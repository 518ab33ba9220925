"""How long the pages of onboarding take beside histories of millions of events."""
