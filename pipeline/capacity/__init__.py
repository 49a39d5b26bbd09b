"""What a load needs, before it is there: batch, waiting time, instances, strides, ages, machines and their price."""
