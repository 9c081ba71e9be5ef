"""xgboost_bagging: A forest that all clients grow at once."""
