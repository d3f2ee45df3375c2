"""Errors of a request to S3, and of the steps before it: the class of ours for each, and its message."""

from __future__ import annotations

from include.s3_xcom.errors import IntegrityError, ObjectMissingError, SettingError, StorageError, XComError

RERUN = "Clear the task that pushed it, so that it runs again (in the UI: Grid, the run, the task, Clear)."

OTHER_CONTENT = f"the object is not the one that was pushed. {RERUN}"

SERVICES = {
    "AssumeRole": "STS",
    "AssumeRoleWithSAML": "STS",
    "AssumeRoleWithWebIdentity": "STS",
    "GetRoleCredentials": "SSO",
    "CreateToken": "SSO",
    "CreateOAuth2Token": "SSO",
}
"""Services other than S3 that botocore asks, by their operations: they give credentials."""

STEPS = {
    "getpass": "code",
    "ProcessProvider": "process",
    "botocore.auth": "credentials",
    "botocore.credentials": "credentials",
    "botocore.signers": "credentials",
    "botocore.tokens": "credentials",
    "_create_session_with_assume_role": "credentials",
    "_new_client": "client",
}
"""Steps before a request, the innermost first, by modules, classes and functions in the traceback."""

EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")

_MISSING = {"404, NoSuchKey": "{missing} " + RERUN}

_OTHER = {"412, InvalidRange, PreconditionFailed": OTHER_CONTENT}

_SETTING = {
    "NoSuchBucket": "{no_bucket}",
    "NoCredentialsError": "no credentials. Set them in the {connection}, or give this machine a role.",
    "PartialCredentialsError": (
        "some of the credentials are missing ({said}). Set access key and secret in the {connection}."
    ),
    "credentials Exception, CredentialRetrievalError, MetadataRetrievalError": (
        "the credentials cannot be fetched{provider} ({name}). Check what the {connection} says about them, "
        "the AWS profile (a `credential_process`, too), the environment variables AWS_..., and the role of "
        "this machine or container."
    ),
    "credentials RuntimeError": (
        "the credentials have expired, also those that were fetched to renew them ({name}). Check where they "
        "come from, and this machine's clock."
    ),
    "credentials OSError": (
        "a file with credentials cannot be read ({name}{file}). Check the web identity token file, and the "
        "other files that the {connection} names."
    ),
    "credentials ParamValidationError": (
        "no valid request for credentials can be made ({name}: {parameters}). Check role_arn, "
        "`assume_role_kwargs` and the web identity token file in the {connection}, or the AWS profile."
    ),
    "process": (
        "`credential_process` of the AWS profile failed, or what it printed are no credentials ({name}). Run "
        "it as the user that runs this: it must end with 0, and print the JSON that AWS asks for."
    ),
    "code, RefreshWithMFAUnsupportedError": (
        "the AWS profile asks for a code (MFA), which nobody can type here. Use a profile without "
        "mfa_serial, or set credentials in the {connection}."
    ),
    "SSOError, TokenRetrievalError, NoAuthTokenError, LoginError": (
        "there is no login with AWS, or it has expired ({said}). Log in with `aws sso login` (or `aws "
        "login`) as the user that runs this, or set credentials that last in the {connection}."
    ),
    "ProfileNotFound": (
        "there is no such AWS profile ({said}). Name another in AWS_PROFILE, or as profile_name in the "
        "{connection}, or write it into ~/.aws/config."
    ),
    "ConfigNotFound, ConfigParseError, InvalidConfigError, UnknownCredentialError": (
        "an AWS profile makes no sense ({said}). Mend it in ~/.aws/config and ~/.aws/credentials, or in the "
        "files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name."
    ),
    "client InvalidToken": (
        "Airflow cannot decrypt the {connection} ({name}). [core] fernet_key must be the one that it was "
        "saved with."
    ),
    "client Exception, client InvalidConfigError, credentials AirflowException, BotoCoreError": (
        "no client for S3 can be made ({said}). Check region_name, endpoint_url, `verify` and "
        "`config_kwargs` in the {connection}, ~/.aws/config, and the environment variables AWS_..."
    ),
    "unsent": (
        "no request can be sent with what the {connection} says ({name}). Look for line breaks in its keys "
        "and its token, and check its proxies and timeouts."
    ),
    "ParamValidationError": "no valid request can be made ({said}).",
    "no bundle": (
        "the file with trusted certificates cannot be read ({name}). `verify` in the extra of the "
        "{connection}, or AWS_CA_BUNDLE, must be the path of a CA bundle on this machine; `verify` can also "
        "be true or false."
    ),
}

_STORAGE = {
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "S3": "S3 answered {said}",
    ", ".join(EXPIRED): "the credentials have expired ({name}). Renew them in the {connection}.",
    "RequestTimeTooSkewed": "this machine's clock is not right ({name}). Set it, best by NTP.",
    "403, AccessDenied, AuthorizationHeaderMalformed, Forbidden, InvalidAccessKeyId, SignatureDoesNotMatch": (
        "S3 denied it ({name}). Check the credentials in the {connection} and what they may do with the "
        "bucket (docs/aws.md)."
    ),
    # https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
    "STS 403, STS AccessDenied, STS AccessDeniedException": (
        "STS refused to assume the role{role} ({said}). Its trust policy must admit whoever the credentials "
        "in the {connection} belong to, and their own policy must allow sts:{operation}."
    ),
    "STS IncompleteSignature, STS InvalidClientTokenId, STS SignatureDoesNotMatch": (
        "STS does not accept the access keys with which the role{role} was to be assumed ({name}). They may "
        "be mistyped or deleted: set others in the {connection}."
    ),
    "STS ExpiredToken, STS ExpiredTokenException, STS RequestExpired": (
        "STS says that the credentials have expired with which the role{role} was to be assumed ({name}). "
        "Renew the session token, or the web identity token, in the {connection}, and check this machine's "
        "clock."
    ),
    "STS": (
        "STS answered {name} when the role{role} was to be assumed. Check the role, `assume_role_kwargs` and "
        "the web identity token in the {connection}, or try again."
    ),
    "SSO": (
        "AWS SSO gives no credentials ({name}). Log in again with `aws sso login`, and check sso_account_id "
        "and sso_role_name in ~/.aws/config."
    ),
    "407": (
        "the proxy{proxy} wants a user and a password, or others (407). Set them in its URL, in HTTP_PROXY "
        "and HTTPS_PROXY, or in `proxies` in `config_kwargs` of the {connection}."
    ),
    "ProxyConnectionError": (
        "the proxy{proxy} cannot be reached, or lets nothing through ({name}). Check HTTP_PROXY, HTTPS_PROXY "
        "and NO_PROXY, and `proxies` in `config_kwargs` of the {connection}."
    ),
    "ConnectionError, HTTPClientError": (
        "S3 cannot be reached ({name}). Check the endpoint in the {connection}, and whether it answers from "
        "this machine."
    ),
    "credentials ConnectionError, credentials HTTPClientError, credentials ResponseParserError": (
        "the service that gives the credentials{host} cannot be reached, or something else answers for it "
        "({name}). Check the network, a proxy{proxy} on the way, and, as `verify` of the connection counts "
        "for S3 alone, AWS_CA_BUNDLE."
    ),
    "IncompleteReadError, ReadTimeoutError, ResponseStreamingError, ResponseParserError, HTTPError": (
        "the connection broke off ({name}). Try again."
    ),
    "not trusted": (
        "the certificate of the endpoint is not trusted ({name}). Set `verify` in the extra of the "
        "{connection}, or AWS_CA_BUNDLE, to the path of a CA bundle that has its issuer; `verify` false "
        "switches the check off."
    ),
    "no TLS": (
        "the endpoint does not speak TLS as expected ({name}). Check whether the endpoint in the "
        "{connection} should start with http:// or https://."
    ),
}

_KINDS: dict[type[XComError], dict[str, str]] = {
    IntegrityError: _OTHER,
    ObjectMissingError: _MISSING,
    SettingError: _SETTING,
    StorageError: _STORAGE,
}

MEANINGS = {
    key: (kind, sentence)
    for kind, sentences in _KINDS.items()
    for keys, sentence in sentences.items()
    for key in keys.split(", ")
}
"""Class and sentence of each error, by the closest key that it has.

A key is the code that S3 answered; another service, or it and the code that it answered; a class of botocore
or urllib3; a step before the request, or it and any class. If a sentence shows an error's text, ``{said}``,
that text is harmless.
"""
