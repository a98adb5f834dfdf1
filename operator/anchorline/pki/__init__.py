"""PURE: X.509, from keys and names to signing, bundles and verification; time, keys and serials are arguments."""

from anchorline.pki.bundle import TrustBundle
from anchorline.pki.certificate import Certificate
from anchorline.pki.describe import describe, describe_chain
from anchorline.pki.issue import Issuer, cross_sign, self_sign_root, serial_from, sign_intermediate, sign_leaf
from anchorline.pki.keys import KeyAlgorithm, KeyEncoding, KeySpec, PrivateKey
from anchorline.pki.name_syntax import matches_dns_name, touches_dns_subtree, within_dns_subtree
from anchorline.pki.names import AlternativeNames, Subject
from anchorline.pki.pem import decode_certificates, encode_certificates
from anchorline.pki.profiles import BACKDATE, IntermediateProfile, LeafProfile, RootProfile, validity
from anchorline.pki.renewal import renew_before_fits, renewal_time
from anchorline.pki.truststore import java_keystore
from anchorline.pki.usages import DEFAULT_USAGES, Usage
from anchorline.pki.verify import ChainError, verify_chain

__all__ = [
    "BACKDATE",
    "DEFAULT_USAGES",
    "AlternativeNames",
    "Certificate",
    "ChainError",
    "IntermediateProfile",
    "Issuer",
    "KeyAlgorithm",
    "KeyEncoding",
    "KeySpec",
    "LeafProfile",
    "PrivateKey",
    "RootProfile",
    "Subject",
    "TrustBundle",
    "Usage",
    "cross_sign",
    "decode_certificates",
    "describe",
    "describe_chain",
    "encode_certificates",
    "java_keystore",
    "matches_dns_name",
    "renew_before_fits",
    "renewal_time",
    "self_sign_root",
    "serial_from",
    "sign_intermediate",
    "sign_leaf",
    "touches_dns_subtree",
    "validity",
    "verify_chain",
    "within_dns_subtree",
]
