"""The pre-training losses, one equation per file: student and teacher enter, a scalar leaves (paper, section 3.4).

Each is a pure function `loss(student, teacher) -> scalar`; what is remembered between steps (EMA weights,
centres, prototypes) lives outside, in `encoder.teacher` and `encoder.geo_context`.
"""
