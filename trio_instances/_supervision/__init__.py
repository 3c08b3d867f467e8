"""Child tasks in nurseries: started in order, restarted by policy, stopped in reverse order."""
