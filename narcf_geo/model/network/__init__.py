"""The network: recipes, training, the ensemble, and the chain that predicts without Keras."""
