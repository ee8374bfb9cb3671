"""The errors STS answers with: codes, statuses and AWS's wording."""


class StsError(Exception):
    """An STS call that fails. `detail` is for the record of calls only, never for the client."""

    def __init__(self, code, message=None, status=None, detail=None):
        default_status, default_message = ERROR_CODES.get(code, (400, code))
        super().__init__(message or default_message)
        self.code = code
        self.status = status or default_status
        self.message = message or default_message
        self.detail = detail

    @property
    def blame(self):
        """AWS's <Type>: whose fault it is."""
        return "Receiver" if self.status >= 500 else "Sender"


# code -> (HTTP status, message). Every code can be asked for with the switch sts_error.
ERROR_CODES = {
    "AccessDenied": (403, "Access denied"),
    "AccessDeniedException": (403, "Access denied"),
    "ExpiredToken": (403, "The security token included in the request is expired"),
    "ExpiredTokenException": (400, "The security token included in the request is expired"),
    "IDPCommunicationError": (400, "The identity provider could not be reached."),
    "IncompleteSignature": (400, "The request signature does not conform to AWS standards."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InternalFailure": (500, "The request processing has failed because of an unknown error, "
                             "exception or failure."),
    "InvalidAction": (400, "Could not find operation"),
    "InvalidClientTokenId": (403, "The security token included in the request is invalid."),
    "InvalidParameterValue": (400, "An invalid or out-of-range value was supplied."),
    "LimitExceeded": (400, "Request limit exceeded."),
    "MalformedInput": (400, "The request body is not a valid form."),
    "MalformedPolicyDocument": (400, "Syntax errors in policy."),
    "MissingAction": (400, "The request is missing an action or a required parameter."),
    "MissingAuthenticationToken": (403, "Request is missing Authentication Token"),
    "OptInRequired": (403, "The AWS Access Key Id needs a subscription for the service"),
    "PackedPolicyTooLarge": (400, "Packed policy consumes 103% of allotted space, "
                                  "please use smaller policy."),
    "RegionDisabledException": (403, "STS is not activated in this region for account:"
                                     "123456789012. Your account administrator can activate STS "
                                     "in this region using the IAM Console."),
    "RequestEntityTooLarge": (413, "Request body is too long"),
    "RequestExpired": (400, "Request has expired."),
    "RequestLimitExceeded": (503, "Request limit exceeded."),
    "RequestThrottled": (400, "Rate exceeded"),
    "RequestTimeout": (400, "The request timed out."),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "SignatureDoesNotMatch": (403, "The request signature we calculated does not match the "
                                   "signature you provided. Check your AWS Secret Access Key and "
                                   "signing method. Consult the service documentation for "
                                   "details."),
    "SlowDown": (503, "Please reduce your request rate."),
    "Throttling": (400, "Rate exceeded"),
    "ThrottlingException": (400, "Rate exceeded"),
    "TooManyRequestsException": (429, "Too Many Requests"),
    "UnknownOperationException": (404, "The requested operation was not found."),
    "ValidationError": (400, "1 validation error detected"),
}
