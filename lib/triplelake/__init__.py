"""triplelake turns a text corpus into a knowledge graph in Delta tables, on Spark and llama.cpp."""
