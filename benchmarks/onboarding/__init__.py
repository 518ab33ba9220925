"""What deciding and folding an onboarding instance costs, without a database."""
