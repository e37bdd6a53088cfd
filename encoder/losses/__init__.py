"""The pre-training losses of the paper (section 3.4), one equation per file: views enter, a scalar leaves.

Each is a pure function `loss(student, teacher) -> scalar`; what is remembered between steps (EMA weights,
centres, prototypes) lives outside, in `encoder.teacher` and `encoder.geo_context`.
"""
