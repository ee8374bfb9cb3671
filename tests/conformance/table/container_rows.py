"""Cases 80 to 91: the ECS and EKS dialects of container credentials."""

ROWS = []
