"""The staircase: learning gains one dimension at a time. Predict, detect, forecast, explain."""
