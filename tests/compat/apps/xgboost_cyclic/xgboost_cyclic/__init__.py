"""xgboost_cyclic: A forest that goes from client to client."""
