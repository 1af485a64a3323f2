"""What a region of ``autocast`` does with each function: torch's lists for GPUs, on every device.

In: a function's name. Out: its policy. A function that is not listed takes its operands as they come; where their
dtypes differ, ordinary promotion gives the widest. That is so for all element by element arithmetic, and for batch
norm, whose statistics are computed in float32 in any case. Names that lazygrad does not have are listed with the
others, so that a function is cast as torch does it from the day on which it is written.
"""

from __future__ import annotations

from enum import Enum


class Policy(Enum):
    """What becomes of the operands that are float tensors, float64 excepted."""

    LOW = "converted to the region's dtype: products, which are fast there and add up in float32"
    FLOAT32 = "converted to float32: functions that lose digits or leave the range of a short float"
    WIDEST = "converted to the widest dtype among them: functions that want one dtype"
    AS_GIVEN = "left alone, also in the functions that this one is made of"


_LISTS = {
    Policy.LOW: """
        matmul mm bmm mv addmm addmv addr addbmm baddbmm einsum chain_matmul multi_dot vecdot linear
        conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d
        prelu scaled_dot_product_attention lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
    """,
    Policy.FLOAT32: """
        exp expm1 log log2 log10 log1p pow reciprocal rsqrt acos asin tan sinh cosh erfinv softplus
        sum prod cumsum cumprod softmax log_softmax logsumexp
        norm vector_norm matrix_norm renorm dist pdist cdist cosine_similarity
        layer_norm rms_norm group_norm
        cross_entropy nll_loss poisson_nll_loss kl_div l1_loss smooth_l1_loss huber_loss mse_loss
        binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss
        margin_ranking_loss multilabel_margin_loss multi_margin_loss soft_margin_loss triplet_margin_loss
        interpolate upsample
    """,
    Policy.WIDEST: """
        addcdiv addcmul atan2 bilinear cross dot vdot tensordot grid_sample index_put scatter_add
        cat stack index_copy
    """,
    # Each is one function in torch, and not on its lists; here it is made of one that is.
    Policy.AS_GIVEN: "nansum instance_norm",
}
POLICIES = {name: policy for policy, names in _LISTS.items() for name in names.split()}
