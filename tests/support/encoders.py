"""A text encoder's config: the shape of BERT-large."""

BERT_LARGE = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
