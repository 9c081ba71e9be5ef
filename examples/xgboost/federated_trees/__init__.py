"""Boosted trees for a diagnosis: five clinics grow one XGBoost forest."""
