"""Classes that people give to cells, classifiers taught by them, and the areas of classes."""
