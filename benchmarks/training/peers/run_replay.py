"""RePlay trains its SasRec (the newer one of its two) from Parquet. One uniform draw of negatives serves a whole batch;
its loss uses no logQ. Rows of like length are encoded together, by its own LengthBucketedQueryEncoder."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.loss import CESampled
from replay.nn.sequential import SasRec
from replay.nn.sequential.length_bucket import LengthBucketedQueryEncoder
from replay.nn.transform import UniformNegativeSamplingTransform
from replay.nn.transform.template import make_default_sasrec_transforms
from session import Session, padded
from watch import trainer

ITEM = "item_id"
BUCKETS = 4
"""Of a batch, by length."""

session = Session()
job, data = session.job, session.data
torch.set_num_threads(job.threads)
lightning.seed_everything(job.seed)

file = Path(job.scratch) / "train.parquet"
sequences = pa.ListArray.from_arrays(pa.array(data.offsets, pa.int32()), pa.array(data.values, pa.int64()))
pq.write_table(pa.table({ITEM: sequences}), file)
schema = TensorSchema(
    TensorFeatureInfo(
        ITEM,
        FeatureType.CATEGORICAL,
        is_seq=True,
        embedding_dim=job.dim,
        cardinality=data.n_items,
        padding_value=data.n_items,
        feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)],
    )
)
transforms = make_default_sasrec_transforms(schema)
net = SasRec.from_params(
    schema,
    embedding_dim=job.dim,
    num_heads=job.heads,
    num_blocks=job.blocks,
    max_sequence_length=job.length,
    dropout=job.dropout,
    hidden_dim=job.feed_forward,
)
net.body.encoder = LengthBucketedQueryEncoder(net.body.encoder, bucket_size=max(1, job.rows // BUCKETS))
if job.loss == "sampled_softmax":
    transforms["train"].append(UniformNegativeSamplingTransform(data.n_items, job.negatives))
    net.loss = CESampled(ignore_index=data.n_items)
    net.loss.logits_callback = net.get_logits


def score(histories: np.ndarray) -> np.ndarray:
    ids = torch.from_numpy(padded(histories, data.n_items))
    with torch.no_grad():
        return net(feature_tensors={ITEM: ids}, padding_mask=ids != data.n_items)["logits"].numpy()


module = ParquetModule(
    job.rows,
    {"train": {ITEM: {"shape": job.length + 1, "padding": data.n_items}}},
    {"train": transforms["train"]},
    train_path=str(file),
)
trainer(lightning, session, lambda batch: int(batch["target_padding_mask"].sum()), score).fit(
    LightningModule(net, OptimizerFactory(learning_rate=job.learning_rate)), module
)
