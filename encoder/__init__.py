"""`Sample`s enter; `EmbeddingBatch`es (fused, per modality, dense) leave."""

import os

# Threads that wait for each other must sleep, not spin: on cores shared with decoding processes or anything
# else, spinning makes embedding several times slower. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
