"""Where the remote key-encryption providers are, and how we show who we are. One section for each."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Provider(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AwsKmsSettings(_Provider):
    """AWS KMS, for CASESTREAM_KEYS__PROVIDER=aws-kms."""

    key: str = Field("", description="The key: its ARN, id or alias/NAME.")
    region: str = Field("", pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$", title="a region's name", description="Its region.")
    endpoint: str = Field("", description="Another address than the region's own, such as a VPC endpoint's.")
    access_key_id: str = Field("", description="Credentials that do not end; better are those of `credentials_url`.")
    secret_access_key: SecretStr | None = Field(None, min_length=1, title="text", description="Their secret.")
    session_token: SecretStr | None = Field(None, min_length=1, title="text", description="Their session, if they have one.")
    credentials_url: str = Field(
        "", description="Where the container finds its role's credentials: the value of AWS_CONTAINER_CREDENTIALS_FULL_URI."
    )
    credentials_token_file: Path | None = Field(
        None, description="With `credentials_url`: the file of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE."
    )


class GoogleKmsSettings(_Provider):
    """Google Cloud KMS, for CASESTREAM_KEYS__PROVIDER=google-kms."""

    key: str = Field(
        "",
        pattern=r"^(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+)?$",
        title="projects/P/locations/L/keyRings/R/cryptoKeys/K",
        description="The key.",
    )
    endpoint: str = Field("https://cloudkms.googleapis.com", description="The API's address.")
    token_file: Path | None = Field(None, description="A file with an access token that somebody keeps fresh.")
    metadata_url: str = Field(
        "http://metadata.google.internal", description="Without a file: the machine's metadata server, for its service account."
    )


class VaultSettings(_Provider):
    """Vault's transit engine, for CASESTREAM_KEYS__PROVIDER=vault."""

    address: str = Field("", description="Vault's address.")
    mount: str = Field(
        "transit", pattern=r"^[A-Za-z0-9._/-]{1,100}$", title="a path", description="Where the engine is mounted."
    )
    key: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,100}$", title="a key's name", description="The key, of type aes256-gcm96.")
    namespace: str = Field("", description="The namespace, where Vault has them.")
    token: SecretStr | None = Field(None, min_length=1, title="text", description="A token; better is `token_file`.")
    token_file: Path | None = Field(None, description="The file in which an agent keeps a token fresh.")
