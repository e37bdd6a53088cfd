"""`Sample`s enter; `EmbeddingBatch`es (fused, per modality, dense) leave."""
