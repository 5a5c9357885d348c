"""The model that a run trains: built or loaded, its vocabulary extended, LoRA added."""
