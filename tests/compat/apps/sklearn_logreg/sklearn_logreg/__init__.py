"""sklearn_logreg: Digits with scikit-learn's logistic regression."""
